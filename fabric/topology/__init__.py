"""A topology file: read, checked, and turned into wires between nodes.

`load` (file to model) stands on `document` (YAML with lines), `schema` and `complaints` (what is allowed,
said in sentences) and `manifests`; `underlay` computes what every namespace of the l2 underlay must have.

Any other underlay is a graph: `wires` makes it (`leafspine`, `explicit`, `generators`, `mininet_topo`) and
checks it (`underlay_schema`, `soundness`); `addressing` gives addresses; `routed` computes what every
namespace must have, and what every router's BGP daemon is told.
"""
