"""The resources of projectcalico.org/v3 as frozen nouns: defaults, validation, JSON and the store's layout.

`fields` is how a noun says its keys, `refusals` how a field is refused, `envelope` what all resources share;
`table` lists the kinds, `consistency` judges objects together, `datastore` keeps them in the store.
"""
