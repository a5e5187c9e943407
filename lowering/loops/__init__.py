"""Loop passes: from computes with schedules to explicit nests."""
