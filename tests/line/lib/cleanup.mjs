// What a test has started is ended with it, whatever fails.

const pending = new WeakMap();

// Calls `end` when the test `t` is over: the last registered first, and every one of them even if
// another throws. (Of several t.after() hooks, node:test leaves out those behind one that failed,
// and a program left running keeps the test file from ending.)
export function whenOver(t, end) {
  if (pending.has(t)) {
    pending.get(t).push(end);
    return;
  }
  const ends = [end];
  pending.set(t, ends);
  t.after(async () => {
    const errors = [];
    for (const each of ends.reverse()) {
      try {
        await each();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length) throw errors[0];
  });
}
