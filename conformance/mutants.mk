# SPDX-License-Identifier: MIT
# What the conformance suite finds: every mutant of the second peer has to be found out as declared.
#
# `make mutants` tries each on a sample; `make mutants FULL=1` on every case, which takes hours.

mutants: setup-test ## defects put into the second peer, each found by the suite (FULL=1: all cases)
	$(submake) suite-mutants
CMD.mutants = $(WITH_LUV) conformance/mutate -j 6 $(if $(FULL),--full,--coverage) --json $(B)/mutants.json
TIMEOUT.mutants = $(if $(FULL),86400,3600)
.PHONY: mutants
