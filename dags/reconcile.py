"""### What the registry desires, serves

An ensemble's slots are aliases of its registered model: `slot-1`, `slot-2`, … Move one in the MLflow UI, and this DAG makes it
what serves, or sets it back and says why.

**reconcile** looks at every ensemble that a pipeline declares. Where the aliases ask for something else than what serves, it
starts their graph as a preview, asks it the golden requests recorded at training, makes it live, and asks again. A graph that was
deleted or edited by hand is put right. A canary is looked at: by what was counted since it began it goes on, goes back, or waits
for the next look. When everything is as desired, it does nothing.

It runs within seconds of a change (the asset `registry/aliases` is watched once a second), once a minute while a canary is on,
and every five minutes in case that a change was missed. What it did stands in its log, and for ever in
`headrace history ENSEMBLE`.
"""

from airflow.sdk import dag

from headrace_airflow.deployment import reconcile_ensembles, reconcile_schedule


@dag(**reconcile_schedule(), description="Makes what the registry's aliases desire what serves.", doc_md=__doc__)
def reconcile():
    reconcile_ensembles()


reconcile()
