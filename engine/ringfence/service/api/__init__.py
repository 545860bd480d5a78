"""The HTTP API, `/v1`."""

from litestar import Router

from ringfence.service.api import (
    audit,
    books,
    decisions,
    dry_runs,
    evaluate,
    feeds,
    kill_switches,
    limits,
    orders,
    policies,
    preview,
    streams,
)
from ringfence.service.api.bodies import ExactJson

__all__ = ["api_router"]


def api_router() -> Router:
    """All routes of the API."""
    return Router(
        "/v1",
        route_handlers=[
            evaluate.evaluate,
            evaluate.evaluate_batch,
            preview.preview,
            preview.preview_batch,
            orders.submit_order,
            orders.working_orders,
            orders.cancel_order,
            feeds.tell_fill,
            feeds.tell_direct_fill,
            feeds.tell_cancel,
            feeds.tell_expiry,
            feeds.tell_marks,
            feeds.tell_balance,
            books.books,
            books.book,
            books.reconcile_account,
            books.accept_differences,
            decisions.decisions,
            decisions.decision,
            limits.limits,
            policies.active_policies,
            policies.stored_policies,
            policies.policy_history,
            policies.policy_diff,
            policies.effective_policies,
            policies.policy_set,
            policies.reload_policies,
            policies.rollback_policies,
            policies.unpin_policies,
            policies.shadow_policies,
            kill_switches.kill_switches,
            kill_switches.kill_switch_history,
            kill_switches.set_kill_switch,
            dry_runs.start_dry_run_job,
            dry_runs.dry_runs,
            dry_runs.dry_run,
            dry_runs.dry_run_report,
            dry_runs.cancel_dry_run,
            dry_runs.upload,
            audit.audit_head,
            audit.verify_audit,
            audit.audit_verification,
            streams.decision_events,
            streams.state_events,
        ],
        dto=ExactJson,
        return_dto=None,
    )
