import { describe, expect, it } from 'vitest'
import { ChannelTree, sameChannel, type TreeNode } from '../tree'

function node(key: string, hasChildren: boolean): TreeNode {
  return {
    key,
    kind: hasChildren ? 'folder' : 'channel',
    name: key,
    deviceId: 'd',
    channelId: key,
    online: true,
    hasChildren,
    total: 0,
    onlineTotal: 0,
  }
}

const CATALOGUE: Record<string, TreeNode[]> = {
  '': [node('a', true), node('b', false)],
  a: [node('a1', true), node('a2', false)],
  a1: [node('a11', false)],
}

function build(): { tree: ChannelTree; asked: string[] } {
  const asked: string[] = []
  const tree = new ChannelTree(
    async (parent) => {
      asked.push(parent?.key ?? '')
      return CATALOGUE[parent?.key ?? ''] ?? []
    },
    () => undefined,
  )
  return { tree, asked }
}

const keys = (tree: ChannelTree): string[] =>
  tree.rows().map(({ node, depth }) => `${' '.repeat(depth)}${node.key}`)

describe('ChannelTree', () => {
  it('shows the roots and loads a branch when it opens, once', async () => {
    const { tree, asked } = build()
    await tree.refresh()
    expect(keys(tree)).toEqual(['a', 'b'])
    await tree.toggle(node('a', true))
    await tree.toggle(node('a', true))
    await tree.toggle(node('a', true))
    expect(keys(tree)).toEqual(['a', ' a1', ' a2', 'b'])
    expect(asked).toEqual(['', 'a'])
  })

  it('keeps open branches open over a refresh', async () => {
    const { tree } = build()
    await tree.refresh()
    await tree.toggle(node('a', true))
    await tree.toggle(node('a1', true))
    await tree.refresh()
    expect(keys(tree)).toEqual(['a', ' a1', '  a11', ' a2', 'b'])
  })

  it('survives a branch that contains itself', async () => {
    const loop = node('x', true)
    const tree = new ChannelTree(
      async () => [loop],
      () => undefined,
    )
    await tree.refresh()
    await tree.toggle(loop)
    expect(keys(tree)).toEqual(['x', ' x'])
  })

  it('closes a branch whose children cannot be loaded', async () => {
    let fail = false
    const tree = new ChannelTree(
      async () => {
        if (fail) throw new Error('offline')
        return [node('a', true)]
      },
      () => undefined,
    )
    await tree.refresh()
    fail = true
    await expect(tree.toggle(node('a', true))).rejects.toThrow('offline')
    expect(tree.rows()[0]?.open).toBe(false)
  })

  it('closes a branch that is gone at a refresh and shows the rest', async () => {
    let gone = false
    const tree = new ChannelTree(
      async (parent) => {
        if (parent === null) return [node('a', true), node('b', false)]
        if (gone) throw new Error('404')
        return [node('a1', false)]
      },
      () => undefined,
    )
    await tree.refresh()
    await tree.toggle(node('a', true))
    gone = true
    await tree.refresh()
    expect(keys(tree)).toEqual(['a', 'b'])
  })

  it('loads a branch anew that was closed during a refresh', async () => {
    const { tree, asked } = build()
    await tree.refresh()
    await tree.toggle(node('a', true))
    await tree.toggle(node('a', true))
    await tree.refresh()
    await tree.toggle(node('a', true))
    expect(asked).toEqual(['', 'a', '', 'a'])
  })
})

describe('sameChannel', () => {
  it('knows a camera at two places of the tree', () => {
    const found = { ...node('d/a2', false), channelId: 'a2' }
    const inTree = { ...node('d/a/a2', false), channelId: 'a2' }
    expect(sameChannel(found, inTree)).toBe(true)
    expect(sameChannel(found, { ...inTree, deviceId: 'e' })).toBe(false)
    expect(sameChannel(null, inTree)).toBe(false)
  })
})
