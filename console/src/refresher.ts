/** Does one piece of work again and again on request, never twice at once and never without rest. */
export class Refresher {
  private timer: ReturnType<typeof setTimeout> | undefined
  private working = false
  private again = false
  private stopped = false

  /**
   * @param delay milliseconds from the first request to the work: a burst of requests (a thousand
   *   devices coming online) costs one, an endless stream of them one per delay
   */
  constructor(
    private readonly work: () => Promise<void>,
    private readonly delay: number,
  ) {}

  request(): void {
    this.again = this.working
    if (this.timer === undefined && !this.working && !this.stopped) {
      this.timer = setTimeout(() => void this.run(), this.delay)
    }
  }

  stop(): void {
    this.stopped = true
    clearTimeout(this.timer)
  }

  /** Work that takes long, such as a tree of 100,000 channels, gets as much rest as it took. */
  private async run(): Promise<void> {
    this.timer = undefined
    this.working = true
    const began = performance.now()
    try {
      await this.work()
    } catch {
      // who shows the result says what is wrong; the next request tries again
    }
    const rest = performance.now() - began
    setTimeout(() => {
      this.working = false
      if (this.again) this.request()
    }, rest)
  }
}
