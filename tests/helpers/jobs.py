"""A job of two models, and journals of jobs that are written by hand."""

from __future__ import annotations

import json

from device_runtime import protocol, summary

SHA256 = "ab" * 32
SETTINGS = {
    "warmup_ms": 1.0,
    "run_ms": 1.0,
    "min_runs": 5,
    "min_passes": 2,
    "max_passes": 4,
    "relative_ci": 0.1,
    "busy_tolerance": 0.1,
    "clock_tolerance": 0.05,
    "heat_tolerance": 0.05,
    "energy_s": 0.0,
    "budget_s": 10.0,
    "timeout_s": 5.0,
    "anchor": None,
    "seed": 0,
}
JOB = {
    "version": protocol.VERSION,
    "kind": "measure",
    "engine": "onnxruntime",
    "threads": 1,
    "affinity": [],
    "models": [{"key": "a", "sha256": SHA256}],
    "settings": SETTINGS,
}

MACHINE = {"machine": "x86_64", "cores": 2, "memory_bytes": 1000}


def a_job(**changes: object) -> protocol.Job:
    models = [{"key": key, "sha256": SHA256} for key in "ab"]
    settings = {**SETTINGS, "anchor": "a", **changes}
    return protocol.parse_job(json.dumps({**JOB, "models": models, "settings": settings}))


def started(job: protocol.Job, **machine: object) -> protocol.Started:
    return protocol.Started(
        protocol.VERSION, job.job_id, "onnxruntime", "1.0", {**MACHINE, **machine}
    )


def state_of(job: protocol.Job, records: list[protocol.Record]) -> summary.JobState:
    state = summary.JobState(job)
    for record in records:
        state.apply(record)
    return state
