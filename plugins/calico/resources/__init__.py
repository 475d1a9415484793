"""The resources of projectcalico.org/v3 as frozen dataclasses: defaults, validation, JSON, keys in the store.

`fields` ties a dataclass to its JSON, `refusals` is how a field is refused, `envelope` what all share;
`table` lists the kinds, `consistency` judges objects together, `datastore` keeps them in the store.
"""
