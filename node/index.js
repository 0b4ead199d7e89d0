"use strict";
/**
 * nedb-engine: the package's door.
 *
 * `NEDB` is for programs: plain values and promises. `NedbCore` is the engine as it is: JSON texts,
 * answered at once. `NedbError` is what both throw.
 */

const { NedbCore } = require("./native.js");
const { NEDB } = require("./database.js");
const { NedbError } = require("./errors.js");

module.exports = { NEDB, NedbCore, NedbError };
