"""The tally's triggers on PostgreSQL: one addition a statement and job, however many images it moved.

SQLite's triggers of step 8 (db/migrations.py) fire for each row, which costs nothing there. Here each would write the
job's row in `tally` anew, and leave a dead version of it: for 10,000 cancelled images, 10,000.
"""

from __future__ import annotations

from typing import Final

_STATES: Final = ("pending", "running", "done", "failed", "cancelled")
_SIZES: Final = ("source_bytes", "output_bytes")

_MOVED: Final = ", ".join(
    [f"sum(CASE state WHEN '{state}' THEN places ELSE 0 END)::bigint AS {state}" for state in _STATES]
    + [f"sum(places * coalesce({size}, 0))::bigint AS {size}" for size in _SIZES]
)
_SIDES: Final = (
    f"SELECT job_id, state, places, {', '.join(_SIZES)} FROM moved_to"
    f" UNION ALL SELECT job_id, state, -places, {', '.join(_SIZES)} FROM moved_from"
)
_ADDED: Final = ", ".join(f"{column} = tally.{column} + moved.{column}" for column in (*_STATES, *_SIZES))
_ANY: Final = " OR ".join(f"moved.{column} <> 0" for column in (*_STATES, *_SIZES))

TALLY_ON_POSTGRES: Final = (
    """CREATE FUNCTION job_begins() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO tally (job_id, pending) VALUES (new.id, new.places); RETURN NULL; END $$""",
    "CREATE TRIGGER job_begins AFTER INSERT ON job FOR EACH ROW EXECUTE FUNCTION job_begins()",
    """CREATE FUNCTION job_goes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        DELETE FROM tally WHERE job_id = old.id; RETURN NULL; END $$""",
    "CREATE TRIGGER job_goes AFTER DELETE ON job FOR EACH ROW EXECUTE FUNCTION job_goes()",
    # What came is added and what went is taken away: a join of the two would be read 5,000 × 5,000 times.
    f"""CREATE FUNCTION image_moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE tally SET {_ADDED} FROM (SELECT job_id, {_MOVED} FROM ({_SIDES}) AS sides GROUP BY job_id) AS moved
        WHERE tally.job_id = moved.job_id AND ({_ANY}); RETURN NULL; END $$""",
    (
        "CREATE TRIGGER image_moves AFTER UPDATE ON image REFERENCING OLD TABLE AS moved_from NEW TABLE AS moved_to"
        " FOR EACH STATEMENT EXECUTE FUNCTION image_moves()"
    ),
)
