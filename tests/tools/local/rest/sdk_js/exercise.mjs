// What Upstash's JavaScript clients do with default settings; prints what they saw as one line of JSON.
import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.argv[2], token: "local" });
const seen = {};

seen.set = await redis.set("k", "vé", { ex: 100 });
seen.get = await redis.get("k");
await redis.set("object", { a: [1, "two", null] });
seen.object = await redis.get("object");
seen.incr = await redis.incr("n");
await redis.hset("h", { a: 1, b: "2" });
seen.hgetall = await redis.hgetall("h");
await redis.zadd("z", { score: 1, member: "one" }, { score: 2, member: "two" });
seen.zrange = await redis.zrange("z", 0, -1, { withScores: true });
seen.pipeline = await redis.pipeline().set("p", 1).incr("p").get("p").exec();
seen.transaction = await redis.multi().set("t", 1).incr("t").exec();
seen.together = await Promise.all([redis.get("n"), redis.get("k"), redis.exists("none")]);
seen.eval = await redis.eval("return {KEYS[1], ARGV[1]}", ["key"], ["argument"]);
const sha = await redis.scriptLoad("return ARGV[1]");
seen.evalsha = await redis.evalsha(sha, [], ["loaded"]);
try {
  await redis.incr("k");
} catch (error) {
  seen.error = error.message;
}

seen.limits = {};
for (const [name, limiter] of Object.entries({
  fixed: Ratelimit.fixedWindow(3, "60 s"),
  sliding: Ratelimit.slidingWindow(3, "60 s"),
  bucket: Ratelimit.tokenBucket(1, "60 s", 3),
})) {
  const limit = new Ratelimit({ redis, limiter, prefix: name, ephemeralCache: false });
  seen.limits[name] = [];
  for (let call = 0; call < 5; call += 1) seen.limits[name].push((await limit.limit("me")).success);
}

console.log(JSON.stringify(seen));
