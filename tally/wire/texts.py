"""The `statusString` texts that clients compare, to the letter."""

from __future__ import annotations

from collections.abc import Iterable

OK = "OK"
JOB_CREATED = "Job Created"
REDUCE_JOB_CREATED = "Reduce Job Created"
JOB_RUNNING = "Job still running"
JOB_FINISHED = "Job is finished"
NO_SUCH_JOB = "No such job"
JOB_REFUSED = "Job execution was refused by server."
OPTIMIZE_JOB_REFUSED = "Optimize Job execution was refused by server."
CANNOT_DECRYPT = "Cannot decrypt request body"
FUSION_DEPTH = "DEPTH_LIMIT"
ADMIN_ONLY = "Only the federation admin can perform this operation"
INVITATION_UNKNOWN = "Invalid federation token"
INVITATION_OLD = "Federation token has expired"
INVITATION_USED = "Federation token already used"
FED_JOINED = "Fed Project created with join"
NOT_OF_FEDERATION = "Cannot join federation: the request is not of this federation"
"""400 of strangers, whichever project they ask for, and whether it is there or not."""

FEDERATION_CLOSED = (
    "Federated projects need the master key: give this installation's workers the "
    "TALLY_MASTER_KEY or TALLY_MASTER_KEY_FILE of its brokers"
)


def project_created(pid: str) -> str:
    """201 of create and rename."""
    return f"Project Created with id:{pid}"


def project_deleted(pid: str, cid: str) -> str:
    """200 of DELETE on a project."""
    return f"deleted Project with id[{pid}] from Customer[{cid}] store"


def no_project(pid: str, cid: str) -> str:
    """400 of nearly every call on a project that is not there."""
    return f"Cannot Find SYMETRYML id[{pid}] for Customer id [{cid}]"


def no_project_to_change(pid: str, cid: str) -> str:
    """400 of DELETE and histogramEnable; the comma and the space at its end belong to it."""
    return f"Customer[{cid}] does not have Project with id[{pid}], "


def project_exists(pid: str, cid: str) -> str:
    """409 of everything that would take a name again; ends as the text before."""
    return f"Customer [{cid}] already have SYMETRYML with id[{pid}], "


def no_model(model: str) -> str:
    """500, by the documents, for a model that is not there."""
    return f"Generic Exception <Error no such model <{model}>>"


def bad_project_id(pid: str) -> str:
    """400 of a name that no project may have."""
    return f"Invalid project id [{pid}]"


def missing_parameter(name: str) -> str:
    """400."""
    return f"Missing parameter [{name}]"


def bad_frame(detail: str) -> str:
    """400 of rows that cannot be learned."""
    return f"Invalid DataFrame: {detail}"


def no_histogram(pid: str) -> str:
    """400 of a question that needs the histograms of a project without."""
    return f"Histogram is not enabled for project [{pid}]"


def frozen(pid: str) -> str:
    """400 of a change to a frozen project."""
    return f"Project [{pid}] is frozen"


def missing_key(name: str) -> str:
    """400 of an encrypted map that lacks something."""
    return f"Missing required key [{name}]"


def fusion_created(pid: str) -> str:
    """201 of the creation of a fusion project."""
    return f"SYMETRYML Created with id:{pid}"


def not_fusion(pid: str) -> str:
    """400 of a call that only fusion projects answer."""
    return f"Project [{pid}] is not a fusion project"


def not_federated(pid: str) -> str:
    """400 of a call that only federated projects answer."""
    return f"Project [{pid}] is not a federated project"


def not_on_federated(operation: str) -> str:
    """400 of what a federated project does not do."""
    return f"Operation [{operation}] is not available on a Federated project"


def cannot_create_federation(reason: str) -> str:
    """400 of a federation that could not be made; nothing is left of it."""
    return f"Cannot create federation: {reason}"


def peer_silent(peer: str) -> str:
    """400 of a question to a peer that does not answer, and of which nothing is held."""
    return f"Peer [{peer}] did not answer"


def not_on_fusion(operation: str) -> str:
    """400 of what a fusion project does not do, since it holds no rows."""
    return f"Operation [{operation}] is not available on a Fusion project"


def fusion_without_data(pid: str, fetch_error: str) -> str:
    """400 of a question to a fusion project none of whose cells was ever fetched."""
    return f"Fusion project [{pid}] has no data: {fetch_error}"


def fusion_cycle(path: Iterable[str]) -> str:
    """400 or 409 of a fusion project that is a cell of itself.

    Example:
        >>> fusion_cycle(["a", "b", "a"])
        'Fusion cycle detected: a -> b -> a'
    """
    return f"Fusion cycle detected: {' -> '.join(path)}"


def too_few_rows(pid: str, rows: int, needed: int) -> str:
    """409 of statistics that are not shared: so few rows could be guessed from them."""
    return (
        f"TOO_FEW_ROWS: project [{pid}] has {rows} rows and shares its statistics from {needed} on"
    )
