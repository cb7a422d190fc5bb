"""Records of a Prefect server, read through its API."""

import time

import httpx


class Pages:
    """Runs recorded by a server."""

    def __init__(self, api: str) -> None:
        self.client = httpx.Client(base_url=api, timeout=30)

    def _post(self, path: str, **query) -> list[dict]:
        return self.client.post(path, json=query).raise_for_status().json()

    def _get(self, path: str) -> dict:
        return self.client.get(path).raise_for_status().json()

    def runs(self, flow: str) -> list[dict]:
        """Return the started runs of a flow, newest first."""
        found = self._post(
            "/flow_runs/filter", flows={"name": {"any_": [flow]}}, sort="EXPECTED_START_TIME_DESC"
        )
        return [run for run in found if run["state_type"] != "SCHEDULED"]

    def below(self, run: dict) -> dict[str, dict]:
        """Return the child flow runs of a run, by the names of their flows."""
        found = self._post("/flow_runs/filter", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}})
        return {self._get(f"/flows/{each['flow_id']}")["name"]: each for each in found}

    def tasks(self, run: dict) -> dict[str, str]:
        """Return the states of a flow run's tasks by name, once the server has recorded that they ended."""
        for _ in range(40):
            found = self._post(
                "/task_runs/filter", task_runs={"flow_run_id": {"any_": [run["id"]]}}, limit=200
            )
            if all(task["state_type"] in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED") for task in found):
                break
            time.sleep(0.25)
        return {task["name"]: task["state_type"] for task in found}

    def artifacts(self, *runs: dict) -> dict[str, dict]:
        """Return the artifacts of flow runs, by key."""
        ids = [run["id"] for run in runs]
        return {
            each["key"]: each for each in self._post("/artifacts/filter", flow_runs={"id": {"any_": ids}})
        }

    def logs(self, run: dict) -> list[str]:
        """Return the messages of a flow run's log."""
        found = self._post("/logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}}, limit=200)
        return [each["message"] for each in found]

    def cancel(self, run: dict) -> None:
        """Cancel a run, as the button in the UI does."""
        state = {"type": "CANCELLING"}
        self._post(f"/flow_runs/{run['id']}/set_state", state=state)
