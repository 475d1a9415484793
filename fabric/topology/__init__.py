"""A topology file: read, checked, and turned into wires between nodes.

`load` (file to nouns) stands on `document` (YAML with lines), `schema` and `complaints` (what is allowed,
said in sentences) and `manifests`; `underlay` computes what every namespace of the underlay must have.
"""
