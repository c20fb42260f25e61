-- What luacheck is told about the Lua of this repository.
std = "lua54"
max_line_length = 100
-- A method may have no use for the object it belongs to.
self = false
