"""`fabric graph`: an underlay as text or as a picture, with pods and BGP sessions.

`sources` gathers a `Picture` from a file or a running cluster; `text` draws it as a tree or DOT; `layout`
finds a place for each box, `svg` draws them, `png` makes an image of that.
"""
