"""Human-readable reports: tables, profiles, inspections."""
