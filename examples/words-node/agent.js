// An agent in plain Node, without an SDK or packages: it counts the words of a text, and receives and sends events.
// A call is a binary CloudEvent at POST /; the body of the response is the answer.
const http = require("node:http");

let greeted = 0;

function count(text) {
  return text.split(/\s+/).filter(Boolean).length;
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString();
    if (request.method === "GET") {
      response.writeHead(200).end("ok");
    } else if (request.headers["ce-type"] === "io.example.greeting") {
      greeted += 1;
      console.log(`greeting ${greeted} from ${request.headers["ce-source"]}`);
      // An event in the response goes to the broker, which delivers it to the agents that subscribe to it.
      response.writeHead(200, {
        "ce-specversion": "1.0",
        "ce-id": `counted-${request.headers["ce-id"]}`,
        "ce-type": "io.example.counted",
        "ce-source": "/examples/words",
        "content-type": "application/json",
      });
      response.end(JSON.stringify({ words: count(body) }));
    } else {
      const call = body.startsWith("{") ? JSON.parse(body) : { text: body };
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ words: count(call.text ?? ""), greeted }));
    }
  });
});

server.listen(Number(process.env.PORT));

// The first process of a container ignores SIGTERM unless it has a handler, and is killed after the grace period.
process.on("SIGTERM", () => process.exit(0));
