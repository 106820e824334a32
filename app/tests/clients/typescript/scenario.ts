// Does a client made by openapi-typescript and openapi-fetch work with a running Hearth?
//
// `.ci/clients typescript` makes the client and runs this; by hand too.

import assert from "node:assert/strict";
import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./hearth.js";

type Hearth = Client<paths>;

const url = process.env["HEARTH_TEST_URL"];
assert(url, "HEARTH_TEST_URL is not set; app/tests/outside/hearth.py sets it");
const baseUrl = `${url}/api/v1`;

const email = "anna@example.org";
const password = "seven-green-bottles";

const token = await comeIn();
const hearth = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token.secret}` } });
await records(hearth);
await refusals(hearth);
await attachments(hearth);
await revoke(hearth, token.id);
console.log("typescript: the scenario passed");

// Sets the instance up, signs in as its owner, and makes a token.
async function comeIn(): Promise<{ secret: string; id: number }> {
    const nobody = createClient<paths>({ baseUrl });
    const ways = await nobody.GET("/auth");
    assert.equal(ways.data?.setup_needed, true);
    const code = process.env["HEARTH_TEST_SETUP_CODE"] ?? "";
    const owner = await nobody.POST("/setup", { body: { code, name: "Anna", email, password } });
    assert.equal(owner.data?.user.role, "owner");
    const first = browser(owner.response);
    assert.equal((await first.GET("/session")).data?.user.email, email);
    assert.equal((await first.DELETE("/session")).response.status, 204);
    assert.equal((await first.GET("/session")).error?.status, 401);

    const wrong = await nobody.POST("/session", { body: { email, password: "seven-blue-bottles" } });
    assert.equal(wrong.error?.status, 401);
    const begun = await nobody.POST("/session", { body: { email, password } });
    assert.equal(begun.response.status, 201);
    const made = await browser(begun.response).POST("/tokens", { body: { name: "typescript", scope: "admin" } });
    assert(made.data);
    return { secret: made.data.secret, id: made.data.token.id };
}

// Node's fetch keeps no cookies, and does not say where a request comes from, as a browser does.
function browser(response: Response): Hearth {
    const cookie = response.headers.getSetCookie().map((line) => line.split(";")[0]).join("; ");
    return createClient<paths>({ baseUrl, headers: { cookie, "sec-fetch-site": "same-origin" } });
}

async function revoke(hearth: Hearth, id: number): Promise<void> {
    const { data } = await hearth.GET("/tokens");
    assert(data?.items.some((token) => token.id === id));
    assert.equal((await hearth.DELETE("/tokens/{id}", { params: { path: { id } } })).response.status, 204);
    assert.equal((await hearth.GET("/records")).error?.status, 401);
}

async function records(hearth: Hearth): Promise<void> {
    const ids: number[] = [];
    for (const title of ["Passport", "Boiler service", "Bicycle", "Insurance", "Lease"]) {
        const request = {
            params: { header: { "Idempotency-Key": title.replace(" ", "-") } },
            body: { title, category: "typescript", due_date: "2027-02-28" },
        };
        const { data, response } = await hearth.POST("/records", request);
        assert(data, title);
        assert.equal(response.status, 201);
        assert.equal(response.headers.get("location"), `/api/v1/records/${data.id}`);
        assert.equal(data.due_date, "2027-02-28");
        // No response came, say: sent again, it creates nothing more.
        const again = await hearth.POST("/records", request);
        assert.equal(again.data?.id, data.id);
        ids.push(data.id);
    }

    const people = await hearth.GET("/people");
    assert.deepEqual(people.data?.items.map((person) => person.name), ["Anna"]);

    const seen: number[] = [];
    let after: string | undefined;
    do {
        const query = { category: "typescript", limit: 2, ...(after === undefined ? {} : { after }) };
        const { data } = await hearth.GET("/records", { params: { query } });
        assert(data);
        seen.push(...data.items.map((record) => record.id));
        after = data.next;
    } while (after !== undefined);
    assert.deepEqual(seen.sort(), ids.sort());

    const found = await hearth.GET("/records", { params: { query: { search: "boiler", sort: "title" } } });
    assert(found.data?.items.some((record) => record.title === "Boiler service"));

    const query = { category: "typescript", sort: "title_desc" } as const;
    const last = await hearth.GET("/records", { params: { query } });
    assert.equal(last.data?.items[0]?.title, "Passport");

    const id = ids[0];
    assert(id !== undefined);
    const path = { id };
    const changed = await hearth.PATCH("/records/{id}", {
        params: { path },
        body: { notes: "the blue one", due_date: null },
    });
    assert.equal(changed.data?.notes, "the blue one");
    assert.equal(changed.data?.due_date, undefined);
    assert.equal(changed.data?.title, "Passport");

    const deleted = await hearth.DELETE("/records/{id}", { params: { path } });
    assert.equal(deleted.response.status, 204);
    const gone = await hearth.GET("/records/{id}", { params: { path } });
    assert.equal(gone.error?.status, 404);
}

async function attachments(hearth: Hearth): Promise<void> {
    const { data: record } = await hearth.POST("/records", { body: { title: "Washing machine" } });
    assert(record);
    const path = { id: record.id };
    // What is no JSON is sent as it is.
    const bytes = { bodySerializer: (body: unknown) => body as string, headers: { "content-type": "application/octet-stream" } };
    const { data: receipt } = await hearth.POST("/records/{id}/attachments", {
        params: { path, query: { name: "receipt.txt", role: "receipt" } },
        body: "one receipt",
        ...bytes,
    });
    assert.equal(receipt?.bytes, 11);
    const begun = await hearth.POST("/records/{id}/uploads", { params: { path }, body: { name: "film.bin", bytes: 10 } });
    assert(begun.data);
    const upload = { id: begun.data.id };
    let film;
    for (const part of ["hello", "world"]) {
        const { data: now } = await hearth.GET("/uploads/{id}", { params: { path: upload } });
        assert(now);
        const params = { path: upload, header: { "Upload-Offset": now.offset } };
        film = (await hearth.PATCH("/uploads/{id}", { params, body: part, ...bytes })).data?.attachment;
    }
    assert.equal(film?.name, "film.bin");
    assert(film);
    const content = await hearth.GET("/attachments/{id}/content", { params: { path: { id: film.id } }, parseAs: "text" });
    assert.equal(content.data, "helloworld");
}

async function refusals(hearth: Hearth): Promise<void> {
    const { data, error } = await hearth.POST("/records", { body: { title: " " } });
    assert.equal(data, undefined);
    assert.equal(error?.errors?.[0]?.field, "title");
}
