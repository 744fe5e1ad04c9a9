"""One lowered graph a network: the reference, the calibration and every exporter share it."""
