//! dindcheck
