"""The run time emitted into artefacts: thread pool and C API."""
