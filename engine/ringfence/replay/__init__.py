"""The dry run's ends: orders, fills, marks and balances in; a summary's reports out."""
