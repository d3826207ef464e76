"""`GET /jobs/{id}/download`: all records of a finished job, as one file."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api_shim.dependencies import AskedJob, Authenticated, AuthenticCaller, Exports, once_only
from api_shim.downloads.coding import accepts_gzip, gzipped
from api_shim.downloads.lines import DownloadFormat, csv_lines, ndjson_lines
from api_shim.downloads.stream import StreamedAnswer, gathered
from api_shim.responses.errors import CONFLICT_ANSWER, ERROR_ANSWERS
from worker.errors import InvalidRequestError
from worker.jobs.job import Job
from worker.jobs.status import IllegalChangeError

router = APIRouter(tags=["jobs"], responses=ERROR_ANSWERS, dependencies=[Authenticated])

_MEDIA_TYPES = {DownloadFormat.NDJSON: "application/x-ndjson", DownloadFormat.CSV: "text/csv"}
_EXAMPLES = {
    DownloadFormat.NDJSON: '{"vid":501,"properties":{"email":{"value":"a@x.test"}}}\n',
    DownloadFormat.CSV: "vid,closedate,closedate.iso\r\n501,1700000000000,2023-11-14T22:13:20.000Z\r\n",
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All records, streamed; cut off without a regular end if something fails on the way",
        "content": {
            _MEDIA_TYPES[each]: {"schema": {"type": "string"}, "example": _EXAMPLES[each]} for each in DownloadFormat
        },
        "headers": {
            "Content-Disposition": {"schema": {"type": "string"}, "description": "The name of the file"},
            "ETag": {
                "schema": {"type": "string"},
                "description": "Changes with a retry or an erasure",
            },
        },
    }
}


@router.get(
    "/jobs/{job_id}/download",
    summary="Download all records",
    response_class=Response,
    responses={**_ANSWER, **CONFLICT_ANSWER},
    dependencies=[once_only("format", "bom")],
)
def download(
    request: Request,
    job_id: AskedJob,
    caller: AuthenticCaller,
    service: Exports,
    file_format: Annotated[
        DownloadFormat,
        Query(
            alias="format", description="`ndjson`: one record a line, as HubSpot sent it; `csv`: a column a property"
        ),
    ] = DownloadFormat.NDJSON,
    *,
    bom: Annotated[
        bool, Query(description="Start the CSV with a byte order mark, by which Excel recognises UTF-8")
    ] = False,
) -> Response:
    """Download all records of a job that has ended, however it ended. Compressed if the client accepts gzip."""
    if bom and file_format is not DownloadFormat.CSV:
        raise InvalidRequestError("bom: is for format=csv only")
    job = service.control.show(job_id, account_id=caller.account_id)
    if not job.status.is_terminal:
        raise IllegalChangeError(f"The job is {job.status}: its {job.records_type} can be downloaded when it has ended")
    # The pages are read as the chunks are taken, in the threads of downloads.
    csv = file_format is DownloadFormat.CSV
    chunks = gathered(csv_lines(service.pages, job, with_bom=bom) if csv else ndjson_lines(service.pages, job))
    packs = accepts_gzip(request.headers.getlist("accept-encoding"))
    return StreamedAnswer(
        gzipped(chunks) if packs else chunks,
        threads=request.app.state.download_threads,
        media_type=_MEDIA_TYPES[file_format],
        headers={
            "Content-Disposition": f'attachment; filename="{job.records_type}-{job.job_id}.{file_format}"',
            "ETag": _tag(job, file_format, with_bom=bom),
            "Vary": "Accept-Encoding",
            **({"Content-Encoding": "gzip"} if packs else {}),
        },
    )


def _tag(job: Job, file_format: DownloadFormat, *, with_bom: bool) -> str:
    """Identify the state of the job that the file shows; a weak tag, since gzip makes other bytes of the same file."""
    ended_ms = int(job.finished_at.timestamp() * 1000) if job.finished_at is not None else 0
    state = f"{ended_ms}-{job.erased.records}" if job.erased.records else f"{ended_ms}"
    return f'W/"{job.job_id}.{state}.{"bom." if with_bom else ""}{file_format}"'
