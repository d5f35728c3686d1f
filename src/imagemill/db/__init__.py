"""The database is the truth: every query of imagemill stands in this package, and peewee enters only here.

Rows never leave it: callers get the frozen structs of `core.job`. Each write of a state is one conditional update with
a name.
"""

from imagemill.db.copies import copy_database, forget_jobs, job_counts
from imagemill.db.database import StoreError, open_database
from imagemill.db.deliveries import Delivery
from imagemill.db.images import MAIN, Claim, Claimed, Handful, Record
from imagemill.db.jobs import Accepted, JobFilter, NewJob
from imagemill.db.lanes import Doors
from imagemill.db.leftovers import Leftover, Shelf
from imagemill.db.orders import Beside
from imagemill.db.overview import overview, secrets_and_names
from imagemill.db.places import Fate
from imagemill.db.repeats import Key, KeyTaken
from imagemill.db.savings import Saving
from imagemill.db.sessions import new_secret
from imagemill.db.singles import Single
from imagemill.db.soundness import inspect, newest_at
from imagemill.db.staging import Sampled, Staging
from imagemill.db.store import Store, open_store
from imagemill.db.tokens import FIRST, Caller, Name, TokenInfo, checked_name, new_token

__all__ = [
    "FIRST",
    "MAIN",
    "Accepted",
    "Beside",
    "Caller",
    "Claim",
    "Claimed",
    "Delivery",
    "Doors",
    "Fate",
    "Handful",
    "JobFilter",
    "Key",
    "KeyTaken",
    "Leftover",
    "Name",
    "NewJob",
    "Record",
    "Sampled",
    "Saving",
    "Shelf",
    "Single",
    "Staging",
    "Store",
    "StoreError",
    "TokenInfo",
    "checked_name",
    "copy_database",
    "forget_jobs",
    "inspect",
    "job_counts",
    "new_secret",
    "new_token",
    "newest_at",
    "open_database",
    "open_store",
    "overview",
    "secrets_and_names",
]
