/** The channel tree: children load when a node opens; only visible rows become elements. */

export interface TreeNode {
  /** Unique in the whole tree. */
  key: string
  kind: 'device' | 'folder' | 'channel'
  name: string
  deviceId: string
  channelId: string
  online: boolean
  hasChildren: boolean
  /** Channels below, and how many of them are online. */
  total: number
  onlineTotal: number
}

export interface TreeRow {
  node: TreeNode
  depth: number
  open: boolean
  loading: boolean
}

/** Whether two nodes are the same camera, wherever in the tree or in a search they stand. */
export function sameChannel(one: TreeNode | null, other: TreeNode | null): boolean {
  return one?.deviceId === other?.deviceId && one?.channelId === other?.channelId
}

export type LoadChildren = (parent: TreeNode | null) => Promise<TreeNode[]>

export class ChannelTree {
  private readonly children = new Map<string, TreeNode[]>()
  private readonly opened = new Set<string>()
  private readonly loading = new Set<string>()
  private roots: TreeNode[] = []

  constructor(
    private readonly load: LoadChildren,
    private readonly changed: () => void,
  ) {}

  /**
   * Loads the roots and every open branch anew; what is open stays open. A branch that cannot be
   * loaded any more closes, and what a closed branch held is forgotten: it may have changed.
   */
  async refresh(): Promise<void> {
    this.roots = await this.load(null)
    const known = new Map(this.roots.map((node) => [node.key, node]))
    for (const list of this.children.values()) for (const node of list) known.set(node.key, node)
    for (const key of [...this.children.keys()]) {
      if (!this.opened.has(key)) this.children.delete(key)
    }
    await Promise.all([...this.opened].map((key) => this.reload(key, known.get(key))))
    this.changed()
  }

  private async reload(key: string, node: TreeNode | undefined): Promise<void> {
    try {
      if (!node) throw new Error('it is gone')
      this.children.set(key, await this.load(node))
    } catch {
      this.opened.delete(key)
      this.children.delete(key)
    }
  }

  async toggle(node: TreeNode): Promise<void> {
    if (this.opened.delete(node.key)) {
      this.changed()
      return
    }
    this.opened.add(node.key)
    if (!this.children.has(node.key)) await this.fill(node)
    this.changed()
  }

  private async fill(node: TreeNode): Promise<void> {
    this.loading.add(node.key)
    this.changed()
    try {
      this.children.set(node.key, await this.load(node))
    } catch (error) {
      this.opened.delete(node.key)
      throw error
    } finally {
      this.loading.delete(node.key)
    }
  }

  rows(): TreeRow[] {
    const rows: TreeRow[] = []
    const seen = new Set<string>() // a catalogue may hold one node at two places of one branch
    const append = (nodes: readonly TreeNode[], depth: number): void => {
      for (const node of nodes) {
        const open = this.opened.has(node.key)
        rows.push({ node, depth, open, loading: this.loading.has(node.key) })
        if (!open || seen.has(node.key)) continue
        seen.add(node.key)
        append(this.children.get(node.key) ?? [], depth + 1)
        seen.delete(node.key)
      }
    }
    append(this.roots, 0)
    return rows
  }
}
