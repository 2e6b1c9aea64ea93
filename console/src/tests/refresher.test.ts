import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Refresher } from '../refresher'

describe('Refresher', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('does the work once for a burst', async () => {
    const work = vi.fn(async () => undefined)
    const refresher = new Refresher(work, 1000)
    for (let i = 0; i < 1000; i += 1) refresher.request()
    await vi.advanceTimersByTimeAsync(5000)
    expect(work).toHaveBeenCalledTimes(1)
  })

  it('is not starved by requests that never end', async () => {
    const work = vi.fn(async () => undefined)
    const refresher = new Refresher(work, 1000)
    for (let i = 0; i < 50; i += 1) {
      refresher.request()
      await vi.advanceTimersByTimeAsync(200)
    }
    expect(work.mock.calls.length).toBeGreaterThanOrEqual(7)
  })

  it('rests as long as the work took, then does what was asked for meanwhile', async () => {
    const began: number[] = []
    const refresher = new Refresher(async () => {
      began.push(performance.now())
      await new Promise((done) => setTimeout(done, 3000))
    }, 1000)
    refresher.request()
    await vi.advanceTimersByTimeAsync(2000)
    refresher.request()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(began).toHaveLength(2)
    expect((began[1] ?? 0) - (began[0] ?? 0)).toBeGreaterThanOrEqual(7000)
  })

  it('goes on after a failure, and stops when it is told to', async () => {
    const work = vi.fn(async () => {
      throw new Error('offline')
    })
    const refresher = new Refresher(work, 1000)
    refresher.request()
    await vi.advanceTimersByTimeAsync(2000)
    refresher.request()
    await vi.advanceTimersByTimeAsync(2000)
    expect(work).toHaveBeenCalledTimes(2)
    refresher.request()
    refresher.stop()
    await vi.advanceTimersByTimeAsync(5000)
    expect(work).toHaveBeenCalledTimes(2)
  })
})
