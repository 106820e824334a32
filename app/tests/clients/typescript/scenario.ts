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

// Accounts come first, so that all that follows is done by somebody.
const hearth = createClient<paths>({ baseUrl });
await records(hearth);
await refusals(hearth);
console.log("typescript: the scenario passed");

async function records(hearth: Hearth): Promise<void> {
    const ids: number[] = [];
    for (const title of ["Passport", "Boiler service", "Bicycle", "Insurance", "Lease"]) {
        const { data, response } = await hearth.POST("/records", {
            body: { title, category: "typescript", due_date: "2027-02-28" },
        });
        assert(data, title);
        assert.equal(response.status, 201);
        assert.equal(response.headers.get("location"), `/api/v1/records/${data.id}`);
        assert.equal(data.due_date, "2027-02-28");
        ids.push(data.id);
    }

    const seen: number[] = [];
    let after: string | undefined;
    do {
        const query = { category: "typescript", limit: 2, ...(after === undefined ? {} : { after }) };
        const { data } = await hearth.GET("/records", { params: { query } });
        assert(data);
        seen.push(...data.records.map((record) => record.id));
        after = data.next;
    } while (after !== undefined);
    assert.deepEqual(seen.sort(), ids.sort());

    const found = await hearth.GET("/records", { params: { query: { search: "boiler", order: "title" } } });
    assert(found.data?.records.some((record) => record.title === "Boiler service"));

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

async function refusals(hearth: Hearth): Promise<void> {
    const { data, error } = await hearth.POST("/records", { body: { title: " " } });
    assert.equal(data, undefined);
    assert.equal(error?.errors?.[0]?.field, "title");
}
