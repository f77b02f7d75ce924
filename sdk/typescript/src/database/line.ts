// Lines of those who wait: for the right to write, for a connection, for their branch's turn. Whoever came first goes first,
// and who stops waiting leaves the line.

/** A number of permits. */
export class Line {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(permits: number) {
    this.#free = permits;
  }

  /** How many wait. */
  get length(): number {
    return this.#waiting.size;
  }

  /** Whether nobody holds or waits for one, of so many. */
  isIdle(permits: number): boolean {
    return this.#free === permits && this.#waiting.size === 0;
  }

  /** Takes a permit, and gives what gives it back; nothing if it was not to be had in time. Without a time: however long. */
  async take(patienceMs?: number): Promise<(() => void) | undefined> {
    if (this.#free > 0) {
      this.#free -= 1;
      return this.#permit();
    }
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const comes = (): void => {
        clearTimeout(timer);
        resolve(this.#permit());
      };
      this.#waiting.add(comes);
      if (patienceMs === undefined) return;
      timer = setTimeout(() => {
        this.#waiting.delete(comes);
        resolve(undefined);
      }, patienceMs);
    });
  }

  #permit(): () => void {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      // It goes from hand to hand, so that nobody overtakes.
      const [next] = this.#waiting;
      if (next) {
        this.#waiting.delete(next);
        next();
      } else {
        this.#free += 1;
      }
    };
  }
}
