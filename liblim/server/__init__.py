"""``limserver``: a peer without keys, that keeps and forwards the changes of many libraries."""
