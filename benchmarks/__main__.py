"""`python -m benchmarks`: every benchmark, one after another; figures are printed and never asserted."""

from benchmarks import gateway

gateway.main()
