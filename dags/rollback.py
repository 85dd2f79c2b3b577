"""### Back to what served before

**rollback** makes an earlier revision of an ensemble the next one, with exactly its versions and weights: the revision named in
the form, or the newest earlier one that served something else. It proves itself as every deployment does, and what serves now
goes on until then.

Versions that serve now and would not then are *rejected*: no later run chooses them, until somebody releases them with
`headrace release ENSEMBLE VERSION`. `headrace history ENSEMBLE` shows the revisions, and who went back to which, and why.
"""

from pathlib import Path

from airflow.sdk import dag

from headrace_airflow.deployment import roll_back, rollback_form


@dag(**rollback_form(Path(__file__).parent), description="Makes an earlier revision of an ensemble what serves.", doc_md=__doc__)
def rollback():
    roll_back()


rollback()
