-- SPDX-License-Identifier: MIT
error "this module does not load"
