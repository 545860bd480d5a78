"""The service: HTTP API, dashboard, metrics and health around a guard; `ringfence serve` starts it."""
