"""What the outside world speaks, turned into what the walks understand. Nothing here knows a database or decides anything.

`intake` is the way in for an import's body: NDJSON, JSON, CSV and SCIM become the numbered record lines described in `lines`.
"""
