//! The dispatcher against participants that behave and misbehave.
