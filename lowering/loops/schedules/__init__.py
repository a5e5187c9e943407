"""The analytic cost model behind `assign_schedules`: one file per shape of compute."""
