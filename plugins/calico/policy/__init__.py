"""The oracle of Calico's policies: what they mean for a flow, computed from their specification.

It shares selectors with the rest of the plugin and nothing else: neither Felix's calculation nor the chains
that it renders, which are judged by it.
"""
