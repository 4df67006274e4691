// Names that this machine does not know, as a container or a router would: loaded into SillyTavern's server, so that it
// asks for Parley by them.
const dns = require("node:dns");
const lookup = dns.lookup;
const names = process.env.PARLEY_NAMES.split(",");

dns.lookup = (host, options, done) => {
  if (typeof options === "function") [options, done] = [{}, options];
  if (!names.includes(host)) return lookup(host, options, done);
  if (options?.all) return done(null, [{ address: "127.0.0.1", family: 4 }]);
  done(null, "127.0.0.1", 4);
};
