"""Starts and ends the Ray cluster of one machine, or joins one that runs.

Import this module only after ``prepare_environment``: Ray reads its environment when imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.exceptions import RayError

from runtime.cluster.coordinator_actor import Coordinator
from runtime.cluster.fleet import actor_options
from runtime.cluster.wiring import COORDINATOR, NAMESPACE, Wiring

OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""Data travels on our own streams; Ray's object store holds next to nothing."""


class ClusterAddresses(NamedTuple):
    dashboard: str
    ray: str


def start_local(temporary: Path, dashboard_port: int | None, cpus: int) -> ClusterAddresses:
    """Start Ray on this machine. Its ports ask for the cluster's token, its dashboard is local."""
    context = ray.init(
        num_cpus=cpus,
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        dashboard_port=dashboard_port,
        namespace=NAMESPACE,
        log_to_driver=False,
        configure_logging=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=str(temporary),
    )
    return _addresses(context)


def join(address: str) -> ClusterAddresses:
    """Connect to a running Ray cluster."""
    context = ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    return _addresses(context)


def _addresses(context: Any) -> ClusterAddresses:
    url = context.dashboard_url
    return ClusterAddresses(f"http://{url}" if url else "", context.address_info["address"])


def start_coordinator(wiring: Wiring) -> None:
    """Start the coordinator, which starts everything else, unless there is one already."""
    ray.remote(Coordinator).options(**actor_options(COORDINATOR)).remote(wiring)


async def cluster_status(deadline_s: float = 5.0) -> dict[str, Any] | None:
    """What the coordinator and every process say of themselves; None when it does not answer."""
    try:
        handle = ray.get_actor(COORDINATOR, NAMESPACE)
        async with asyncio.timeout(deadline_s):
            status: dict[str, Any] = await handle.status.remote()
            return status
    except (RayError, ValueError, TimeoutError):
        return None


async def drain(deadline_s: float = 30.0) -> None:
    """Have every process finish what it began, and end it."""
    with contextlib.suppress(RayError, ValueError, TimeoutError):
        handle = ray.get_actor(COORDINATOR, NAMESPACE)
        async with asyncio.timeout(deadline_s):
            await handle.drain.remote()
        ray.kill(handle)


def stop() -> None:
    """Leave the cluster; one that ``start_local`` began ends with that."""
    ray.shutdown()
