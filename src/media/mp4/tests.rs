//! Hand-built boxes and what is read of them.
