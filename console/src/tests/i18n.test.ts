import { beforeEach, describe, expect, it, vi } from 'vitest'

function stubBrowser(browserLanguage: string): void {
  const store = new Map<string, string>()
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => store.get(key) ?? null,
    setItem: (key: string, value: string) => store.set(key, value),
  })
  vi.stubGlobal('navigator', { language: browserLanguage })
  vi.stubGlobal('document', { documentElement: { lang: '' }, createElement: () => ({}) })
}

describe('language', () => {
  beforeEach(() => vi.resetModules())

  it('follows the browser, then the choice', async () => {
    stubBrowser('zh-CN')
    const { language, switchLanguage, t, pick } = await import('../i18n')
    expect([language.value, t('login'), pick('a', '甲')]).toEqual(['zh', '登录', '甲'])
    expect(document.documentElement.lang).toBe('zh-CN')
    switchLanguage()
    expect([language.value, t('login'), pick('a', '甲')]).toEqual(['en', 'Log in', 'a'])
    expect(document.documentElement.lang).toBe('en')
  })

  it('shows English where a Chinese text is missing', async () => {
    stubBrowser('zh-CN')
    const { pick } = await import('../i18n')
    expect(pick('a', '')).toBe('a')
  })
})
