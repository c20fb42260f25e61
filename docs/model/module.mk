# SPDX-License-Identifier: MIT
#
# The models of the protocol. They are about the rules, not about the code, so `make test` leaves them out.

model: ## check the models of the protocol with spin (ONLY=WORD: those with WORD in their name)
	$(Q)CC='$(CC)' docs/model/run -o $(B)/model $(ONLY)

.PHONY: model
