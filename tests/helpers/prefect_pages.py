"""What a Prefect server has recorded, asked over its API."""

import time

import httpx


class Pages:
    """The runs that a server knows."""

    def __init__(self, api: str) -> None:
        self.api = api

    def _post(self, path: str, **query) -> list[dict]:
        return httpx.post(f"{self.api}{path}", json=query, timeout=30).raise_for_status().json()

    def _get(self, path: str) -> dict:
        return httpx.get(f"{self.api}{path}", timeout=30).raise_for_status().json()

    def runs(self, flow: str) -> list[dict]:
        """The runs of a flow that have begun, the newest first."""
        found = self._post(
            "/flow_runs/filter", flows={"name": {"any_": [flow]}}, sort="EXPECTED_START_TIME_DESC"
        )
        return [run for run in found if run["state_type"] != "SCHEDULED"]

    def below(self, run: dict) -> dict[str, dict]:
        """The flow runs that are part of one, by the name of their flow."""
        found = self._post("/flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}})
        return {self._get(f"/flows/{each['flow_id']}")["name"]: each for each in found}

    def tasks(self, run: dict) -> dict[str, str]:
        """The states of a flow run's tasks, by their names, once the server has recorded them."""
        for _ in range(40):
            found = self._post(
                "/task_runs/filter", task_runs={"flow_run_id": {"any_": [run["id"]]}}, limit=200
            )
            if all(task["state_type"] in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED") for task in found):
                break
            time.sleep(0.25)
        return {task["name"]: task["state_type"] for task in found}

    def artifacts(self, *runs: dict) -> dict[str, dict]:
        """What is shown on the pages of flow runs, by key."""
        ids = [run["id"] for run in runs]
        return {
            each["key"]: each for each in self._post("/artifacts/filter", flow_runs={"id": {"any_": ids}})
        }

    def logs(self, run: dict) -> list[str]:
        """The lines of a flow run's log."""
        found = self._post("/logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}}, limit=200)
        return [each["message"] for each in found]

    def cancel(self, run: dict) -> None:
        """What the page's button does."""
        state = {"type": "CANCELLING"}
        httpx.post(f"{self.api}/flow_runs/{run['id']}/set_state", json={"state": state}).raise_for_status()
