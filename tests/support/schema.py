"""The revision of the newest schema, which several tests expect in an answer."""

NEWEST = "0018"
