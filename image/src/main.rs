//! The file that boots: what it does is in the library beside it.
#![cfg_attr(panic = "abort", no_std, no_main)]

penstock_kernel::image!(penstock_image::run);
