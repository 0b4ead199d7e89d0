"use strict";
/**
 * nedb-engine: the package's door.
 *
 * `NEDB` is for programs: plain values and promises. `NedbCore` is the engine as it is: JSON texts,
 * answered at once. `NedbError` is what both throw. `rewrapKey` changes the key of a database that is closed.
 */

const { NedbCore } = require("./native.js");
const { NEDB, rewrapKey } = require("./database.js");
const { NedbError } = require("./errors.js");

module.exports = { NEDB, NedbCore, NedbError, rewrapKey };
