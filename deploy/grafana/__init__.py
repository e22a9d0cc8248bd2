"""What Grafana shows: dashboards made from code, and the files that provision them."""
