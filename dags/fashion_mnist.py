"""### Fashion-MNIST: from raw images to a replicated, aggregated endpoint

1. **is_stale** asks whether the cached dataset may be used: younger than its limit, made of the same source files with the same
   parameters, and its manifest verified against what the store holds. Its XCom `reason` says why.
2. **ingest** runs only when it may not: raw IDX files → checked, decoded, split → an immutable dataset version.
3. **dataset** hands the version on and emits its asset event (version, cached or not, reason), whether or not it was ingested.
4. **train_…** trains each member with several workers and all-reduce, tracks it as one MLflow run, registers it as a candidate.
5. **gate_…** measures each candidate on the *validation* split and holds it against the checks of the YAML's `gate`, one of them
   against what it would replace. The verdict stands on the registered version, with a page of plots in its run.
6. **approve_…** is there where the YAML says `approval: manual`: it waits until a person sets the version's tag
   `headrace.approval` to `approved` or `rejected` in the MLflow UI.
7. **join_…** lets a candidate that was admitted serve before the others are ready, while nothing else serves.
8. **promote** chooses among all that were admitted, by what they answer together to the *validation* split, and makes them serve
   once their answers to the golden requests, through a preview of the very graph, are those recorded at training. The live
   endpoint is asked the same; if it answers otherwise, the former graph comes back. Who failed or was refused holds nobody back;
   when too few are left it is skipped, and what serves stays.

Everything about it stands in `fashion_mnist.yaml` beside this file.
"""

from pathlib import Path

from airflow.sdk import dag

from headrace.specs.pipeline import load_pipeline
from headrace_airflow.tasks import admit, ingest_if_stale, params_of, promote, schedule_of, train

spec = load_pipeline(Path(__file__).with_suffix(".yaml"))


@dag(**schedule_of(spec), params=params_of(spec), doc_md=__doc__)
def fashion_mnist():
    dataset = ingest_if_stale(spec)
    entries = {member: admit(spec, member, train(spec, member, dataset), dataset) for member in spec.members}
    promote(spec, entries, dataset)


fashion_mnist()
