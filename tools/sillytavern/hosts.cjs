// Loaded into SillyTavern's server: names that lead to Parley as those of a container or a router do, and no way to
// anywhere else.
const dns = require("node:dns");
const lookup = dns.lookup;
const names = process.env.PARLEY_NAMES.split(",");

dns.lookup = (host, options, done) => {
  if (typeof options === "function") [options, done] = [{}, options];
  if (["localhost", "127.0.0.1", "::1"].includes(host)) return lookup(host, options, done);
  if (!names.includes(host)) return done(Object.assign(new Error(`${host} is not of this machine`), { code: "ENOTFOUND" }));
  if (options?.all) return done(null, [{ address: "127.0.0.1", family: 4 }]);
  done(null, "127.0.0.1", 4);
};
