-- SPDX-License-Identifier: MIT
--
-- Where a defect can be put in. Every rule of the protocol that a wrong implementation might get
-- wrong is asked for here, by name, with what decides it; the functions below give the right
-- answers. A defect is a replacement of one of them, or of a cell of tables.lua, and nothing else:
--
--     hooks.credit = function(old, new) return { items = old.items + new.items, ... } end
--
-- Functions that take a map of a control payload return the map to send.

local M = {}

-- values and schemas (chapters 5, 7)
function M.refuses_equal_keys(_payload) return true end
function M.requires(_payload, _key) return true end
function M.accepts_field(_payload, _key, _value, fits) return fits end
function M.minimum(_limit, minimum) return minimum end

-- payloads on their way out
function M.hello(map) return map end
function M.bye(map) return map end
function M.open(map) return map end
function M.cancel(map) return map end
function M.cancelled(map) return map end
function M.error(failure) return failure end
function M.pong(payload) return payload end
function M.grant(totals, _window) return totals end

-- handshake and link (chapters 6, 10, 18)
function M.features(list) return list end
function M.checks_version() return true end
function M.token_is_right(equal) return equal end
function M.knows_echo() return true end
function M.answers_ping() return true end
function M.pong_waits() return true end
function M.answers_bye(_received) return true end
function M.says_bye(_code) return true end
function M.drains_at_close() return true end
function M.keeps_heartbeat() return true end
function M.silence(_link) end

-- frames (chapter 4): a header that is not admitted is skipped
function M.admits(_link, _header) return true end
function M.checks_role() return true end
function M.checks_mixing() return true end
function M.next_frame(outbox) return outbox:next_frame() end
function M.next_id(id) return id + 2 end
function M.contexts(link) return link.announced.contexts end
function M.their_contexts(limit) return limit end

-- contexts and halves (chapters 8, 9)
function M.implies_end() return true end
function M.answers_stop() return true end
function M.terminal(kind, payload) return kind, payload end

-- credit (chapter 12)
function M.credit(_old, new) return new end
function M.checks_totals() return true end
function M.within_grant(got, granted, _half)
  return got.items < granted.items and got.bytes < granted.bytes
end
function M.may_send(sent, allowed)
  return sent.items < allowed.items and sent.bytes < allowed.bytes
end

-- cancellation and deadlines (chapters 13, 14)
function M.absorbs(_context) return true end
function M.passes_on(_member) return true end
function M.raises_again() return true end
function M.ends_shields() return true end
function M.takes_grace(new, old) return new < old end
function M.grace_below(left) return left * 3 / 4 end
function M.inherits_deadline() return true end
function M.enforces_deadline() return true end
function M.begins_cancelled() return false end

-- scopes and errors (chapters 3, 15)
function M.cancels_siblings() return true end
function M.scope_may_end(empty) return empty end
function M.flattens() return true end
function M.via(peer) return peer end
function M.marks_cancelled() return true end

-- actors and children (chapter 16)
function M.refusal(code) return code end
function M.unsets(_variable) return true end
function M.environment(env) return env end
function M.watches_parent() return true end
function M.exit_status(status) return status end
function M.finishes_held() return true end
function M.waits_for_contexts() return true end
function M.may_end(alone) return alone end
function M.climbs(_rung) return true end
function M.reports_died(err) return err end

-- the registry (chapter 17)
function M.lists(_entry) return true end
function M.forgets(_entry) return true end
function M.owner_only() return true end
function M.watch_bound(n) return n end

return M
